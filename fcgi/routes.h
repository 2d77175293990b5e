/* The route table: each path with the view that answers it. GET is for HEAD too. This file has no
 * include guard, since view.h and route.c read it for what each of them makes of it. */
GET("/", echo_page)
GET("/echo", echo_get)
GET("/echo/", echo_get)
GET("/serialize/echo/", echo_get)
GET("/chat", chat_get)
POST("/chat", chat_post)
